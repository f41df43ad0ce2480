# node:VERSION. npm's node-linux-* packages carry the upstream binaries.
FROM temps-stand-in/tools:bookworm AS fetch
ARG VERSION
ARG ARCH
ARG NPM
WORKDIR /fetch
RUN npm pack --loglevel=error "node-linux-$ARCH@$VERSION" >/dev/null \
    && mkdir -p node && tar -xzf node-linux-*.tgz -C node --strip-components=1 \
    && rm -rf node/share node/*.md node/package.json
ENV PATH=/fetch/node/bin:$PATH
RUN npm install --loglevel=error --no-fund --global --prefix /fetch/node "npm@$NPM" yarn@1
# Only its own name until `corepack enable`; and as in the official image, none from Node.js 25 on.
RUN if [ "${VERSION%%.*}" -lt 25 ]; then \
    npm pack --loglevel=error corepack && mkdir -p node/lib/node_modules/corepack \
    && tar -xzf corepack-*.tgz -C node/lib/node_modules/corepack --strip-components=1 \
    && chmod +x node/lib/node_modules/corepack/dist/*.js \
    && ln -s ../lib/node_modules/corepack/dist/corepack.js /fetch/node/bin/corepack; fi

FROM temps-stand-in/base:bookworm
ARG VERSION
ARG PACKAGES
RUN if [ -n "$PACKAGES" ]; then apt-get update && apt-get install -qy --no-install-recommends $PACKAGES \
    && rm -rf /var/lib/apt/lists/*; fi
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY --from=fetch /fetch/node/ /usr/local/
RUN ln -s /usr/local/bin/node /usr/local/bin/nodejs && node --version && npm --version && yarn --version
ENV NODE_VERSION=$VERSION COREPACK_ENABLE_DOWNLOAD_PROMPT=0
COPY node-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
