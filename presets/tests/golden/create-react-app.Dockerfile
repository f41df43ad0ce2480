FROM node:22-slim AS build
RUN printf '%s\n' \
    'if [ -s /run/secrets/temps-ca ]; then' \
    '  ca=/tmp/temps-ca-$(id -u).pem' \
    '  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/temps-ca >$ca 2>/dev/null || true' \
    '  for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS YARN_HTTPS_CA_FILE_PATH PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO BUNDLE_SSL_CA_CERT COMPOSER_CAFILE; do export $name=$ca; done' \
    'fi' \
    'if [ -s /run/secrets/temps-env ]; then . /run/secrets/temps-env; fi' \
    >/usr/local/share/temps-build
WORKDIR /app
ENV PATH=/app/node_modules/.bin:$PATH NEXT_TELEMETRY_DISABLED=1
COPY package.json package-lock.json ./
RUN --mount=type=cache,id=temps-npm,target=/cache \
    --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && npm ci --include=dev --no-audit --no-fund --cache /cache \
    || npm ci --include=dev --legacy-peer-deps --no-audit --no-fund --cache /cache
COPY . .
ARG TEMPS_VARIABLES
RUN --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && npm run build
RUN test -d build || { echo 'the build made no folder build: name the one it makes in temps.json: {"build": {"outputDirectory": "…"}}' >&2; exit 1; }

FROM scratch
COPY --from=build /app/build /site
