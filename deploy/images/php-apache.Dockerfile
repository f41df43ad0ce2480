# php:VERSION-apache from Debian's PHP and Apache, laid out as in the official image.
FROM temps-stand-in/base:bookworm
RUN apt-get update && apt-get install -qy --no-install-recommends \
    apache2 libapache2-mod-php php-cli php-curl php-mbstring php-xml php-sqlite3 php-dev make \
    && rm -rf /var/lib/apt/lists/* /var/www/html/*
RUN a2enmod -q rewrite && a2disconf -q other-vhosts-access-log \
    && printf 'ServerName localhost\n<Directory /var/www/html>\n    AllowOverride All\n    DirectoryIndex index.php index.html\n</Directory>\n' \
        >/etc/apache2/conf-available/docker-php.conf && a2enconf -q docker-php \
    && ln -sf /dev/stdout /var/log/apache2/access.log && ln -sf /dev/stderr /var/log/apache2/error.log \
    && chown www-data:www-data /var/www/html && mkdir -p /usr/local/etc/php/conf.d /run/apache2 /run/lock/apache2 \
    && chmod 1777 /var/log/apache2 /run/apache2 /run/lock/apache2 /var/cache/apache2 \
    && for api in cli apache2; do ln -s /usr/local/etc/php/conf.d/ "$(echo /etc/php/*/$api/conf.d)/zz-local"; done \
    && php --version
COPY docker-php-ext-install.sh /usr/local/bin/docker-php-ext-install
COPY apache2-foreground.sh /usr/local/bin/apache2-foreground
RUN ln -s docker-php-ext-install /usr/local/bin/docker-php-ext-enable && printf '#!/bin/sh\n' >/usr/local/bin/docker-php-ext-configure \
    && chmod +x /usr/local/bin/docker-php-ext-configure
STOPSIGNAL SIGWINCH
WORKDIR /var/www/html
EXPOSE 80
CMD ["apache2-foreground"]
