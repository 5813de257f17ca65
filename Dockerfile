# One image per role, each with the wheel and the packages of its role alone:
#   docker build --target monitor -t driftloop-monitor .      (`make images` builds all four)
# The images run as user 10001 with a read-only root: only /tmp must be writable.
# Behind a mirror: --build-arg PYTHON_IMAGE=..., --build-arg PIP_INDEX_URL=..., or a whole pip.conf, which may hold
# credentials and stays out of the image: --secret id=pip.conf,src=/etc/pip.conf

# alibi-detect supports Python up to 3.12. Any image with Python 3.11.4 or later, or 3.12, venv and pip will do.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# A wheel without code: what it needs changes seldom, so the layers that install it outlive changes of the code.
FROM ${PYTHON_IMAGE} AS needs
ARG PIP_INDEX_URL
WORKDIR /source
COPY pyproject.toml constraints.txt ./
RUN mkdir -p src/driftloop && touch README.md LICENSE src/driftloop/__init__.py
# By the environment, because only that reaches the build's own packages (hatchling) too.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    PIP_CONSTRAINT=/source/constraints.txt pip wheel --no-cache-dir --no-deps --wheel-dir /needs . && \
    cp constraints.txt /needs

FROM ${PYTHON_IMAGE} AS wheel
ARG PIP_INDEX_URL
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    PIP_CONSTRAINT=/source/constraints.txt pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM ${PYTHON_IMAGE} AS base
ARG PIP_INDEX_URL
# A virtual environment apart from the distribution's packages, and without a pip of its own: nothing is installed later.
RUN python3 -m venv --without-pip /opt/driftloop
# A few kB that stay: mounting them from the stage fails in buildah 1.28 (Debian 12) when the stage comes from its cache.
COPY --from=needs /needs /needs
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

# Each role below installs alike: what it needs, then the code. pip's cache is mounted: it serves the next build, and
# stays out of the image.

# The operator, the init container that fetches Bentos, and the `driftloop` command.
FROM base AS controller
# Kept small, as it is fetched on every node: botocore's descriptions of 400 other services go, and only what is imported
# gets bytecode (the rest still works, compiled as it is read).
RUN --mount=type=cache,target=/var/cache/pip --mount=type=secret,id=pip.conf,target=/etc/pip.conf pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --no-compile -c /needs/constraints.txt "$(echo /needs/*.whl)[controller]" && \
    cd /opt/driftloop/lib/python3*/site-packages && \
    find botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} + && \
    PYTHONDONTWRITEBYTECODE= /opt/driftloop/bin/python -W ignore -c "import aiohttp.web, kfp_server_api, kopf, kubernetes, \
packaging.requirements, prometheus_client, pydantic_settings, rich.console, rich.table, s3fs, typer, yaml; \
s3fs.S3FileSystem(key='', secret='').connect()"
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/driftloop/bin/python install --compile --no-deps --no-index --force-reinstall /wheel/*.whl
LABEL org.opencontainers.image.title="driftloop-controller" \
      org.opencontainers.image.description="Decides what a ModelLoop does next"
# By number: Kubernetes checks `runAsNonRoot` without reading /etc/passwd.
USER 10001:10001
WORKDIR /tmp
# 8080: health and metrics.
EXPOSE 8080
CMD ["python", "-m", "driftloop.operator"]

# The sidecar that watches live traffic.
FROM base AS monitor
RUN --mount=type=cache,target=/var/cache/pip --mount=type=secret,id=pip.conf,target=/etc/pip.conf pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --compile -c /needs/constraints.txt "$(echo /needs/*.whl)[monitor]"
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/driftloop/bin/python install --compile --no-deps --no-index --force-reinstall /wheel/*.whl
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
RUN --mount=type=cache,target=/var/cache/pip --mount=type=secret,id=pip.conf,target=/etc/pip.conf pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --compile -c /needs/constraints.txt "$(echo /needs/*.whl)[serving]"
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/driftloop/bin/python install --compile --no-deps --no-index --force-reinstall /wheel/*.whl
LABEL org.opencontainers.image.title="driftloop-serving" \
      org.opencontainers.image.description="Serves a model packaged by driftloop"
USER 10001:10001
WORKDIR /tmp
EXPOSE 3000
CMD ["bentoml", "serve", "/bento", "--host", "0.0.0.0", "--port", "3000"]

# Runs the stages. No entry point: Kubeflow Pipelines brings each task's command, a shell line that calls python3.
FROM base AS pipeline
RUN --mount=type=cache,target=/var/cache/pip --mount=type=secret,id=pip.conf,target=/etc/pip.conf pip \
    --cache-dir /var/cache/pip --python /opt/driftloop/bin/python \
    install --compile -c /needs/constraints.txt "$(echo /needs/*.whl)[pipeline]"
COPY --from=wheel /wheel /wheel
RUN pip --python /opt/driftloop/bin/python install --compile --no-deps --no-index --force-reinstall /wheel/*.whl
LABEL org.opencontainers.image.title="driftloop-pipeline" \
      org.opencontainers.image.description="Runs the stages of driftloop's training pipeline"
USER 10001:10001
WORKDIR /tmp
CMD ["python"]
