"""From the results of runs to that of their study."""
