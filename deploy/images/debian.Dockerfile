# debian:TAG, and what can be told from it only by name.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -qy --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
