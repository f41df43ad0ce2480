FROM ruby:3.2-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential git libyaml-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
RUN printf '%s\n' \
    'if [ -s /run/secrets/temps-ca ]; then' \
    '  ca=/tmp/temps-ca-$(id -u).pem' \
    '  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/temps-ca >$ca 2>/dev/null || true' \
    '  for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS YARN_HTTPS_CA_FILE_PATH PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO BUNDLE_SSL_CA_CERT COMPOSER_CAFILE; do export $name=$ca; done' \
    'fi' \
    'if [ -s /run/secrets/temps-env ]; then . /run/secrets/temps-env; fi' \
    >/usr/local/share/temps-build
WORKDIR /app
ENV BUNDLE_PATH=/usr/local/bundle BUNDLE_WITHOUT=development:test
COPY Gemfile ./
RUN --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && bundle install --jobs 4
COPY . .
ENV RACK_ENV=production APP_ENV=production
ENV HOST=0.0.0.0 PORT=3000
EXPOSE 3000
CMD ["/bin/sh","-c","exec bundle exec ruby app.rb -o 0.0.0.0 -p $PORT"]
