# The device part on a Jetson; inference by the TensorRT of JetPack, which is in BASE.
#   docker build -f docker/jetson.Dockerfile -t mmrphys:jetson --build-arg BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0 .
# BASE must be of the board's own JetPack release: `cat /etc/nv_tegra_release` says it.
ARG BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0

FROM ${BASE} AS build
# pycuda has no wheel for ARM: it is compiled here, with the CUDA of BASE.
# hadolint ignore=DL3008 # JetPack's own Ubuntu; what matters is pinned in constraints.txt
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
ENV PATH=/usr/local/cuda/bin:$PATH
WORKDIR /src
COPY . .
# `tensorrt` is the system's: a wheel of it would be for another board.
RUN python3 -m venv --system-site-packages /opt/mmrphys \
 && /opt/mmrphys/bin/pip install --no-cache-dir --constraint constraints.txt '.[tensorrt,web]'

FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --groups video,dialout --no-create-home --home-dir /var/lib/mmrphys mmrphys \
 && install -d -o mmrphys -g mmrphys -m 700 /var/lib/mmrphys
COPY --from=build /opt/mmrphys /opt/mmrphys
COPY docker/healthy.py /opt/mmrphys/healthy.py
# What waits for a broker, and engines, which are built on the board once, outlive the container here.
ENV PATH=/opt/mmrphys/bin:$PATH XDG_STATE_HOME=/var/lib XDG_CACHE_HOME=/var/lib/mmrphys/cache PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/mmrphys
VOLUME /var/lib/mmrphys
HEALTHCHECK --interval=15s --timeout=5s --start-period=300s --retries=3 CMD ["python", "/opt/mmrphys/healthy.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mmrphys"]
CMD ["run", "--config", "/etc/mmrphys/kit.toml"]
