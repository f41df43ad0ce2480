# oven/bun:VERSION. npm carries the upstream binaries.
FROM temps-stand-in/tools:bookworm AS fetch
ARG VERSION
ARG ARCH
WORKDIR /fetch
# A processor without AVX2 needs the baseline build.
RUN if [ "$ARCH" = x64 ] && ! grep -qw avx2 /proc/cpuinfo; then ARCH=x64-baseline; else ARCH=$( [ "$ARCH" = arm64 ] && echo aarch64 || echo x64 ); fi \
    && npm pack --loglevel=error "@oven/bun-linux-$ARCH@$VERSION" >/dev/null \
    && tar -xzf oven-bun-*.tgz --strip-components=1

FROM temps-stand-in/base:bookworm
RUN groupadd --gid 1000 bun && useradd --uid 1000 --gid bun --shell /bin/sh --create-home bun
COPY --from=fetch /fetch/bin/bun /usr/local/bin/bun
# As in the official image, `node` and `npx` are bun, for scripts that start with them.
RUN ln -s bun /usr/local/bin/bunx && mkdir -p /usr/local/bun-node-fallback-bin \
    && ln -s /usr/local/bin/bun /usr/local/bun-node-fallback-bin/node && bun --version
ENV BUN_RUNTIME_TRANSPILER_CACHE_PATH=0 BUN_INSTALL_BIN=/usr/local/bin PATH=$PATH:/usr/local/bun-node-fallback-bin
COPY bun-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
WORKDIR /home/bun/app
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]
CMD ["/usr/local/bin/bun"]
