FROM php:8.3-apache
RUN apt-get update \
    && apt-get install -y --no-install-recommends libicu-dev \
    && rm -rf /var/lib/apt/lists/*
RUN docker-php-ext-install pdo_mysql intl
RUN a2enmod -q rewrite \
    && sed -i 's/^Listen 80$/Listen ${PORT}/' /etc/apache2/ports.conf \
    && sed -i 's/<VirtualHost \*:80>/<VirtualHost *:${PORT}>/' /etc/apache2/sites-available/000-default.conf \
    && mkdir -p /var/run/apache2 /var/lock/apache2 \
    && chown -R www-data:www-data /var/run/apache2 /var/lock/apache2 /var/log/apache2 /var/www/html
RUN sed -i 's#/var/www/html#/var/www/html/public#' /etc/apache2/sites-available/000-default.conf
RUN printf '%s\n' \
    'if [ -s /run/secrets/temps-ca ]; then' \
    '  ca=/tmp/temps-ca-$(id -u).pem' \
    '  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/temps-ca >$ca 2>/dev/null || true' \
    '  for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS YARN_HTTPS_CA_FILE_PATH PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO BUNDLE_SSL_CA_CERT COMPOSER_CAFILE; do export $name=$ca; done' \
    'fi' \
    'if [ -s /run/secrets/temps-env ]; then . /run/secrets/temps-env; fi' \
    >/usr/local/share/temps-build
USER www-data
COPY --from=composer:2 /usr/bin/composer /usr/local/bin/composer
COPY --chown=33:33 composer.json composer.lock ./
RUN --mount=type=cache,id=temps-composer,target=/cache,uid=33,gid=33 \
    --mount=type=secret,id=temps-ca,uid=33 \
    --mount=type=secret,id=temps-env,uid=33 \
    . /usr/local/share/temps-build && COMPOSER_HOME=/tmp/composer COMPOSER_CACHE_DIR=/cache composer install --no-dev --no-interaction --prefer-dist --no-scripts --no-autoloader
COPY --chown=33:33 . .
RUN --mount=type=cache,id=temps-composer,target=/cache,uid=33,gid=33 \
    --mount=type=secret,id=temps-ca,uid=33 \
    --mount=type=secret,id=temps-env,uid=33 \
    . /usr/local/share/temps-build && COMPOSER_HOME=/tmp/composer COMPOSER_CACHE_DIR=/cache composer dump-autoload --no-dev --optimize
RUN mkdir -p storage bootstrap/cache && chmod -R u+w storage bootstrap/cache
ENV HOST=0.0.0.0 PORT=8080
EXPOSE 8080
CMD ["/bin/sh","-c","exec apache2-foreground"]
