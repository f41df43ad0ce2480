# debian:TAG, and what can be told from it only by name.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -qy --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
# Not every release that this stands in for keeps pip from the system's packages.
ENV PIP_BREAK_SYSTEM_PACKAGES=1
