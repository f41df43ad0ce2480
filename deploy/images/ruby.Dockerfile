# ruby:VERSION from Debian's interpreter.
FROM temps-stand-in/base:bookworm
ARG PACKAGES
RUN apt-get update && apt-get install -qy --no-install-recommends ruby ruby-bundler ruby-dev libyaml-0-2 $PACKAGES \
    && rm -rf /var/lib/apt/lists/*
ENV LANG=C.UTF-8 GEM_HOME=/usr/local/bundle BUNDLE_SILENCE_ROOT_WARNING=1 BUNDLE_APP_CONFIG=/usr/local/bundle PATH=/usr/local/bundle/bin:$PATH
RUN mkdir -p "$GEM_HOME" && chmod 1777 "$GEM_HOME" && ruby --version && bundle --version
CMD ["irb"]
