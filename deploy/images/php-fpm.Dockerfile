# php:VERSION-fpm from Debian's PHP.
FROM temps-stand-in/base:bookworm
RUN apt-get update && apt-get install -qy --no-install-recommends \
    php-fpm php-cli php-curl php-mbstring php-xml php-sqlite3 \
    && rm -rf /var/lib/apt/lists/* && mkdir -p /var/www/html && ln -s "$(ls /usr/sbin/php-fpm[0-9]*)" /usr/local/sbin/php-fpm
# The pool listens on 9000 and hands the container's environment on, as in the official image.
RUN sed -i -e 's/^listen = .*/listen = 9000/' -e 's/^;clear_env.*/clear_env = no/' /etc/php/*/fpm/pool.d/www.conf
COPY docker-php-ext-install.sh /usr/local/bin/docker-php-ext-install
RUN ln -s docker-php-ext-install /usr/local/bin/docker-php-ext-enable
EXPOSE 9000
WORKDIR /var/www/html
CMD ["php-fpm", "--nodaemonize"]
