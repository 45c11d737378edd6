# The bot as manifests/base runs it: no build step, no root, nothing written to its own file system.
#   docker build -t sluice:0.1.0 .
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY tools/local-node/package.json tools/local-node/
RUN npm ci --omit=dev

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json ./
COPY src src
USER 65532:65532
EXPOSE 3000
CMD ["node", "src/main.ts"]
