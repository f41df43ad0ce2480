FROM python:3.12-slim
RUN printf '%s\n' \
    'if [ -s /run/secrets/temps-ca ]; then' \
    '  ca=/tmp/temps-ca-$(id -u).pem' \
    '  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/temps-ca >$ca 2>/dev/null || true' \
    '  for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS YARN_HTTPS_CA_FILE_PATH PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO BUNDLE_SSL_CA_CERT COMPOSER_CAFILE; do export $name=$ca; done' \
    'fi' \
    'if [ -s /run/secrets/temps-env ]; then . /run/secrets/temps-env; fi' \
    >/usr/local/share/temps-build
WORKDIR /app
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/venv
COPY . .
ENV PYTHONPATH=/app
ENV HOST=0.0.0.0 PORT=8123
EXPOSE 8123
CMD ["/bin/sh","-c","exec python main.py"]
