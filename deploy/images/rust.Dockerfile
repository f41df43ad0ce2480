# rust:VERSION from this machine's own toolchain, copied by base-images.sh.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN apt-get update && apt-get install -qy --no-install-recommends gcc libc6-dev $PACKAGES \
    && rm -rf /var/lib/apt/lists/*
COPY rust/ /usr/local/
ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup PATH=/usr/local/cargo/bin:$PATH
RUN ldconfig && mkdir -p "$CARGO_HOME/bin" && chmod -R a+w "$CARGO_HOME" && cargo --version && rustc --version
