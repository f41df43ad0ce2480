# httpd:TAG from Debian's Apache, with the folders of the official image.
FROM temps-stand-in/base:bookworm
RUN apt-get update && apt-get install -qy --no-install-recommends apache2 \
    && rm -rf /var/lib/apt/lists/* && a2disconf -q other-vhosts-access-log && a2enmod -q rewrite headers \
    && mkdir -p /usr/local/apache2/htdocs /usr/local/apache2/conf /run/apache2 /run/lock/apache2 \
    && printf '<html><body><h1>It works!</h1></body></html>\n' >/usr/local/apache2/htdocs/index.html \
    && sed -i 's#/var/www/html#/usr/local/apache2/htdocs#' /etc/apache2/sites-available/000-default.conf \
    && printf 'ServerName localhost\n<Directory /usr/local/apache2/htdocs>\n    AllowOverride All\n    Require all granted\n</Directory>\n' \
        >/etc/apache2/conf-available/htdocs.conf && a2enconf -q htdocs \
    && ln -sf /dev/stdout /var/log/apache2/access.log && ln -sf /dev/stderr /var/log/apache2/error.log
COPY apache2-foreground.sh /usr/local/bin/httpd-foreground
ENV HTTPD_PREFIX=/usr/local/apache2
STOPSIGNAL SIGWINCH
WORKDIR /usr/local/apache2
EXPOSE 80
CMD ["httpd-foreground"]
