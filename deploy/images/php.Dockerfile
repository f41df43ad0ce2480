# php:VERSION-cli from Debian's PHP.
FROM temps-stand-in/base:bookworm
RUN apt-get update && apt-get install -qy --no-install-recommends \
    php-cli php-curl php-mbstring php-xml php-sqlite3 \
    && rm -rf /var/lib/apt/lists/* && mkdir -p /var/www/html && php --version
COPY docker-php-ext-install.sh /usr/local/bin/docker-php-ext-install
RUN ln -s docker-php-ext-install /usr/local/bin/docker-php-ext-enable
WORKDIR /var/www/html
CMD ["php", "-a"]
