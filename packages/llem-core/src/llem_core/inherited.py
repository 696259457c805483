"""What a parent may hand to a process that would break it, set right before anything is done."""

from __future__ import annotations

import os
import signal
import threading


def mend_inherited() -> None:
    """Give this process standard descriptors and children that can be waited for.

    A closed standard descriptor would be taken by the next file or pipe that is opened, and
    whatever a library prints would be written into it: it becomes ``/dev/null``. While SIGCHLD is
    ignored the kernel forgets how children ended: it gets its default.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
