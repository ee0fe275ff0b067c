# docker build -t darknet . && docker run --rm --read-only -v "$PWD:/pictures:ro" darknet classify shapes data/star.png
#
# The kernels are compiled into the image for the processor that builds it; on another kind they are compiled at each start.
# --build-arg DARKNET_PY_ISA=avx2 makes an image for all that have AVX2.

FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
# OpenCV without windows needs no libraries of the system.
RUN python -m venv /opt/darknet \
    && /opt/darknet/bin/pip install --no-cache-dir '.[serve]' \
    && /opt/darknet/bin/pip uninstall --yes opencv-python \
    && /opt/darknet/bin/pip install --no-cache-dir opencv-python-headless

FROM python:3.13-slim
ARG DARKNET_PY_ISA=
ENV DARKNET_PY_CACHE=/var/cache/darknet DARKNET_PY_ISA=$DARKNET_PY_ISA PATH=/opt/darknet/bin:$PATH
COPY --from=build /opt/darknet /opt/darknet
# Kernels stay root's, so that they are trusted; what is fetched and measured is the user's: volumes go there.
RUN darknet warmup \
    && mkdir "$DARKNET_PY_CACHE/weights" "$DARKNET_PY_CACHE/journals" \
    && chmod -R a+rX "$DARKNET_PY_CACHE" \
    && chown 10001:10001 "$DARKNET_PY_CACHE/weights" "$DARKNET_PY_CACHE/journals"
USER 10001:10001
WORKDIR /pictures
ENTRYPOINT ["darknet"]
CMD ["--help"]
