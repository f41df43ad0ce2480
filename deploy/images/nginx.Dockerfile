# nginx:TAG from Debian's nginx, laid out as in the official image.
FROM temps-stand-in/base:bookworm
RUN groupadd --system nginx && useradd --system --gid nginx --no-create-home --shell /bin/false nginx \
    && apt-get update && apt-get install -qy --no-install-recommends nginx gettext-base curl \
    && rm -rf /var/lib/apt/lists/* /etc/nginx/sites-* /etc/nginx/nginx.conf /etc/nginx/conf.d/* \
    && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log \
    && mkdir -p /var/cache/nginx /docker-entrypoint.d /etc/nginx/templates \
    && cp /usr/share/nginx/html/index.html /usr/share/nginx/html/50x.html
COPY nginx.conf /etc/nginx/nginx.conf
COPY nginx-default.conf /etc/nginx/conf.d/default.conf
COPY nginx-entrypoint.sh /docker-entrypoint.sh
RUN nginx -t
EXPOSE 80
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
