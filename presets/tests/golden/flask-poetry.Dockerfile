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
COPY pyproject.toml ./
RUN --mount=type=cache,id=temps-pip,target=/root/.cache/pip \
    --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && python -m venv /opt/poetry && /opt/poetry/bin/pip install poetry-core \
    && /opt/poetry/bin/python -c 'from poetry.core.factory import Factory; found = Factory().create_poetry().package.requires; print(*(one.to_pep_508() for one in found if not one.is_optional()), sep=chr(10))' >/tmp/requirements.txt && pip install -r /tmp/requirements.txt
RUN --mount=type=cache,id=temps-pip,target=/root/.cache/pip \
    --mount=type=secret,id=temps-ca \
    --mount=type=secret,id=temps-env \
    . /usr/local/share/temps-build && pip install gunicorn
COPY . .
ENV PYTHONPATH=/app
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
CMD ["/bin/sh","-c","exec gunicorn --bind 0.0.0.0:$PORT --workers ${WEB_CONCURRENCY:-1} --threads 8 --worker-tmp-dir /dev/shm --access-logfile - 'app:app'"]
