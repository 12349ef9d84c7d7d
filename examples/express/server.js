'use strict';

const crypto = require('node:crypto');
const express = require('express');

const app = express();
const slot = process.env.WORKER_ID || '0';

app.get('/', (request, response) => {
  response.type('text').send(`hello from slot ${slot} (pid ${process.pid})\n`);
});

app.get('/healthz', (request, response) => response.send('ok'));

app.get('/pid', (request, response) => response.json({ pid: process.pid, slot }));

app.get('/slow', (request, response) => {
  setTimeout(() => response.json({ pid: process.pid }), Number(request.query.ms) || 1000);
});

// What the proxy in front says of the client.
app.get('/whoami', (request, response) => {
  response.json({ ip: request.ip, protocol: request.protocol, host: request.host, headers: request.headers });
});

app.post('/echo', express.json({ limit: '10mb' }), (request, response) => response.json(request.body));

app.post('/upload', (request, response, next) => {
  const hash = crypto.createHash('sha256');
  let bytes = 0;
  request.on('data', (piece) => {
    hash.update(piece);
    bytes += piece.length;
  });
  request.on('error', next);
  request.on('end', () => response.json({ bytes, sha256: hash.digest('hex') }));
});

app.get('/download', (request, response) => response.download(__filename, 'server.js'));

// ?how=exit ends the process, as a crash would; otherwise the handler throws, which Express answers with a 500.
app.get('/boom', (request, response) => {
  if (request.query.how === 'exit') process.exit(1);
  throw new Error('boom');
});

app.set('trust proxy', 1);
app.listen(process.env.PORT || 3000, (error) => {
  if (error) throw error;
  console.log(`listening on ${process.env.PORT || 3000}`);
});
