# ghcr.io/astral-sh/uv:TAG. PyPI carries the upstream binaries; they are at the root, and in the path.
ARG FROM
FROM temps-stand-in/tools:bookworm AS fetch
RUN pip install -q --no-deps --no-cache-dir --root-user-action=ignore --prefix /fetch uv

FROM $FROM
COPY --from=fetch /fetch/local/bin/uv /fetch/local/bin/uvx /
RUN ln -s /uv /usr/local/bin/uv && ln -s /uvx /usr/local/bin/uvx && uv --version
ENV UV_TOOL_BIN_DIR=/usr/local/bin
