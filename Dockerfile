# LLM4TOP in a container: the Studio, or with the command "worker" a worker. It needs no network
# when it runs. docs/how-to/administrator.md tells how to use it, compose.yaml runs several.
#
#   With CUDA:      docker build --tag llm4top .
#   For the CPU:    docker build --tag llm4top:cpu --build-arg TORCH=torch==2.13.0+cpu \
#                     --build-arg TORCH_INDEX=URL .     (URL: an index that serves this build)
ARG BASE=python:3.11-slim-bookworm

# The packages: one large layer, which changes with the lock file only.
FROM ${BASE} AS packages
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /venv
COPY requirements.lock requirements-dev.lock /locks/
# PostgreSQL's driver is an extra, and so among the locked development packages.
RUN awk '/^[a-z]/ {keep = /^psycopg/} keep' /locks/requirements-dev.lock > /locks/postgresql.lock \
 && /venv/bin/pip install --no-deps --require-hashes \
      --requirement /locks/requirements.lock --requirement /locks/postgresql.lock
# Not in the lock file: its builds (CUDA, CPU, ROCm) have one version and different hashes.
RUN /venv/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"

# The program: a small layer.
FROM packages AS program
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN /venv/bin/pip install --no-deps --no-index --no-build-isolation --prefix /program /source

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /workspace llm4top \
 && install --directory --owner=10001 --group=10001 --mode=700 /workspace
COPY --from=packages /venv /venv
COPY --from=program /program /venv
ENV PATH=/venv/bin:$PATH \
    LLM4TOP_HOME=/workspace \
    XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/matplotlib \
    HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /workspace
EXPOSE 8642
# The Studio's. A worker needs none (--no-healthcheck): one that is not heard of loses its run.
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8642/healthz', timeout=12)"]
ENTRYPOINT ["llm4top"]
CMD ["studio", "--host", "0.0.0.0", "--token", "--no-browser"]
