FROM rust:1.85-slim-bookworm AS build
RUN printf '%s\n' \
    'if [ -s /run/secrets/temps-ca ]; then' \
    '  ca=/tmp/temps-ca-$(id -u).pem' \
    '  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/temps-ca >$ca 2>/dev/null || true' \
    '  for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS YARN_HTTPS_CA_FILE_PATH PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO BUNDLE_SSL_CA_CERT COMPOSER_CAFILE; do export $name=$ca; done' \
    'fi' \
    'if [ -s /run/secrets/temps-env ]; then . /run/secrets/temps-env; fi' \
    >/usr/local/share/temps-build
WORKDIR /src
COPY . .
ARG TEMPS_VARIABLES
RUN --mount=type=cache,id=temps-cargo-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=temps-cargo-git,target=/usr/local/cargo/git \
    --mount=type=cache,id=temps-cargo-target-site,target=/src/target,sharing=locked \
    --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --bin site \
    && mkdir -p /out && cp target/release/site /out/app

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
WORKDIR /app
COPY . .
COPY --from=build /out/ /usr/local/bin/
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
CMD ["/bin/sh","-c","exec /usr/local/bin/app"]
