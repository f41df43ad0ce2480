FROM node:22-slim
WORKDIR /app
USER node
COPY --chown=1000:1000 . .
ENV NODE_ENV=production
ENV HOST=0.0.0.0 PORT=3000
EXPOSE 3000
CMD ["/bin/sh","-c","exec node server.js"]
