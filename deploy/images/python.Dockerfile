# python:VERSION from Debian's interpreter.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN apt-get update && apt-get install -qy --no-install-recommends python3 python3-pip python3-venv python3-setuptools python3-wheel $PACKAGES \
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3 /usr/local/bin/python3 && ln -s /usr/bin/python3 /usr/local/bin/python \
    && printf '#!/bin/sh\nexec python3 -m pip "$@"\n' >/usr/local/bin/pip && chmod +x /usr/local/bin/pip
RUN python --version && pip --version
ENV LANG=C.UTF-8 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
CMD ["python3"]
