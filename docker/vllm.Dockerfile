# vLLM with llem-core and the backend `vllm` in it: an environment for experiments.
#
#   bash scripts/build_wheels.sh build/wheels
#   docker build --file docker/vllm.Dockerfile --build-arg BASE=vllm/vllm-openai:<version> \
#       --tag llem-vllm:<version> build/wheels
#
# Name the version that you measure: the image's digest is in each result. See docs/containers.md.

# Any image in whose `python3` vLLM is installed.
ARG BASE=vllm/vllm-openai:latest
FROM ${BASE}
ARG DISTRIBUTIONS="llem-core llem-vllm llem-energy-nvml"
ARG PIP_OPTIONS=""
COPY . /wheels
# What vLLM has brought stays as it is: an upgrade would measure another engine.
RUN python3 -m pip install --no-cache-dir --upgrade-strategy only-if-needed \
        --find-links /wheels ${PIP_OPTIONS} ${DISTRIBUTIONS} \
    && rm -rf /wheels
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# The base image's own is a server; an environment names its interpreter itself.
ENTRYPOINT []
CMD ["python3"]
