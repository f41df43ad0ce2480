# rust:VERSION from Debian's compiler, where this machine has no newer one.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN apt-get update && apt-get install -qy --no-install-recommends cargo rustc gcc libc6-dev $PACKAGES \
    && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH
RUN mkdir -p "$CARGO_HOME/bin" && chmod -R a+w "$CARGO_HOME" && cargo --version
