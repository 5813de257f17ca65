# One image per role, each with the wheel and the packages of its role alone:
#   docker build --target monitor -t driftloop-monitor .      (`make images` builds all four)
# The images run as user 10001 with a read-only root: only /tmp must be writable.

# alibi-detect supports Python up to 3.12. Any image with Python 3.11 or 3.12, venv and pip will do.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# By the environment, because only that reaches the build's own packages (hatchling) too.
RUN PIP_CONSTRAINT=/source/constraints.txt pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . && \
    cp constraints.txt /wheel

FROM ${PYTHON_IMAGE} AS base
# A virtual environment apart from the distribution's packages, and without a pip of its own: nothing is installed later.
RUN python3 -m venv --without-pip /opt/driftloop
# 0.3 MB that stay: mounting them from the stage fails in buildah 1.28 (Debian 12) when the stage comes from its cache.
COPY --from=wheel /wheel /wheel
ENV PATH=/opt/driftloop/bin:$PATH \
    # The root is read-only: whatever a library keeps for itself goes to /tmp, and the bytecode is there already.
    HOME=/tmp \
    TMPDIR=/tmp \
    BENTOML_HOME=/tmp/bentoml \
    PYTHONDONTWRITEBYTECODE=1 \
    # What was logged before a kill is seen.
    PYTHONUNBUFFERED=1 \
    BENTOML_DO_NOT_TRACK=1
LABEL org.opencontainers.image.vendor="driftloop" \
      org.opencontainers.image.licenses="Apache-2.0"

# Each role below installs alike. pip's cache is mounted: it serves the next build, and stays out of the image.

# The control plane, and the `driftloop` command.
FROM base AS controller
RUN --mount=type=cache,target=/var/cache/pip pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --compile -c /wheel/constraints.txt "$(echo /wheel/*.whl)[controller]"
LABEL org.opencontainers.image.title="driftloop-controller" \
      org.opencontainers.image.description="Decides what a ModelLoop does next"
# By number: Kubernetes checks `runAsNonRoot` without reading /etc/passwd.
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["driftloop"]
CMD ["--help"]

# The sidecar that watches live traffic.
FROM base AS monitor
RUN --mount=type=cache,target=/var/cache/pip pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --compile -c /wheel/constraints.txt "$(echo /wheel/*.whl)[monitor]"
# alibi-detect is under the Business Source License: see README.md.
LABEL org.opencontainers.image.title="driftloop-monitor" \
      org.opencontainers.image.description="Watches live traffic for drift" \
      org.opencontainers.image.licenses="Apache-2.0 AND BUSL-1.1"
USER 10001:10001
WORKDIR /tmp
# Labels, status, health and metrics: for the pod's neighbours, not for itself alone.
ENV DRIFTLOOP_MONITOR_HOST=0.0.0.0
EXPOSE 8090
ENTRYPOINT ["python", "-m", "driftloop.sidecar"]

# Serves the Bento that is mounted or unpacked at /bento.
FROM base AS serving
RUN --mount=type=cache,target=/var/cache/pip pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --compile -c /wheel/constraints.txt "$(echo /wheel/*.whl)[serving]"
LABEL org.opencontainers.image.title="driftloop-serving" \
      org.opencontainers.image.description="Serves a model packaged by driftloop"
USER 10001:10001
WORKDIR /tmp
EXPOSE 3000
CMD ["bentoml", "serve", "/bento", "--host", "0.0.0.0", "--port", "3000"]

# Runs the stages. No entry point: Kubeflow Pipelines brings each task's command, a shell line that calls python3.
FROM base AS pipeline
RUN --mount=type=cache,target=/var/cache/pip pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --compile -c /wheel/constraints.txt "$(echo /wheel/*.whl)[pipeline]"
LABEL org.opencontainers.image.title="driftloop-pipeline" \
      org.opencontainers.image.description="Runs the stages of driftloop's training pipeline"
USER 10001:10001
WORKDIR /tmp
CMD ["python"]
