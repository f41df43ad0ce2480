# python:VERSION from an interpreter of that version on this machine, found by base-images.sh.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN apt-get update && apt-get install -qy --no-install-recommends \
    libssl3 libsqlite3-0 libffi8 libbz2-1.0 liblzma5 libreadline8 libncursesw6 libexpat1 libuuid1 zlib1g libcrypt1 libnsl2 libtirpc3 libgdbm6 libdb5.3 $PACKAGES \
    && rm -rf /var/lib/apt/lists/*
COPY python/ /usr/local/
RUN ldconfig && for name in python3 python; do ln -sf "python$(ls /usr/local/lib | sed -n 's/^python\(3\.[0-9]*\)$/\1/p')" /usr/local/bin/$name; done \
    && python3 -c 'import ssl, sqlite3, ctypes, bz2, lzma, zlib, hashlib, uuid' \
    && python3 -m ensurepip --upgrade && ln -sf pip3 /usr/local/bin/pip && pip --version
ENV LANG=C.UTF-8 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
CMD ["python3"]
