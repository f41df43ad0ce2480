# gcr.io/distroless/NAME: Debian with the user that those images have.
ARG FROM
FROM $FROM
ARG PACKAGES
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -qy --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
RUN groupadd --gid 65532 nonroot && useradd --uid 65532 --gid nonroot --shell /sbin/nologin --create-home nonroot \
    && mkdir -p /nodejs/bin && ln -s /usr/local/bin/node /nodejs/bin/node
ENTRYPOINT []
CMD []
