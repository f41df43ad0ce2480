FROM node:22-slim
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
RUN chown node:node /app
USER node
COPY --chown=1000:1000 package.json package-lock.json ./
RUN --mount=type=cache,id=temps-npm,target=/cache,uid=1000,gid=1000 \
    --mount=type=secret,id=temps-ca,uid=1000 \
    --mount=type=secret,id=temps-env,uid=1000 \
    . /usr/local/share/temps-build && npm ci --include=dev --no-audit --no-fund --cache /cache \
    || npm ci --include=dev --legacy-peer-deps --no-audit --no-fund --cache /cache
COPY --chown=1000:1000 . .
ARG TEMPS_VARIABLES
RUN --mount=type=secret,id=temps-ca,uid=1000 \
    --mount=type=secret,id=temps-env,uid=1000 \
    . /usr/local/share/temps-build && npm run build
ENV NODE_ENV=production HOSTNAME=0.0.0.0
ENV HOST=0.0.0.0 PORT=3000
EXPOSE 3000
CMD ["/bin/sh","-c","exec node build"]
