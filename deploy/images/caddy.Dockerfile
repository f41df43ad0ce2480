# caddy:TAG from Debian's Caddy, laid out as in the official image.
FROM temps-stand-in/base:bookworm
RUN apt-get update && apt-get install -qy --no-install-recommends caddy \
    && rm -rf /var/lib/apt/lists/* && mkdir -p /srv /config/caddy /data/caddy && caddy version
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
WORKDIR /srv
EXPOSE 80 443
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
