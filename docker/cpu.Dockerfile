# The device part on any 64-bit Intel, AMD or ARM machine; inference by ONNX Runtime.
#   docker build -f docker/cpu.Dockerfile -t mmrphys:cpu .
# BASE is Debian 12 or newer, or an image made from one.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# hadolint ignore=DL3008 # Debian stable; what matters is pinned in constraints.txt
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN python3 -m venv /opt/mmrphys \
 && /opt/mmrphys/bin/pip install --no-cache-dir --constraint constraints.txt '.[web]' \
 && /opt/mmrphys/bin/pip check \
 && /opt/mmrphys/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --groups video,dialout --no-create-home --home-dir /var/lib/mmrphys mmrphys \
 && install -d -o mmrphys -g mmrphys -m 700 /var/lib/mmrphys
COPY --from=build /opt/mmrphys /opt/mmrphys
COPY docker/healthy.py /opt/mmrphys/healthy.py
# What waits for a broker outlives the container here; everything else may be read-only.
ENV PATH=/opt/mmrphys/bin:$PATH XDG_STATE_HOME=/var/lib PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/mmrphys
VOLUME /var/lib/mmrphys
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "/opt/mmrphys/healthy.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mmrphys"]
CMD ["run", "--config", "/etc/mmrphys/kit.toml"]
