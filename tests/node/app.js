// What a test through rota needs of real Node servers: Express with files and streams, ws and socket.io on the same port.
'use strict';
const express = require('express');
const http = require('http');
const { Server } = require('socket.io');
const { WebSocketServer } = require('ws');

const app = express();
app.get('/healthz', (req, res) => res.send('ok'));
app.get('/file', (req, res) => res.sendFile(process.env.FILE));
app.get('/stream', (req, res) => {
  res.type('text/event-stream');
  let number = 0;
  const next = () => {
    if (number === 5) return res.end();
    res.write(`data: ${number++}\n\n`);
    setTimeout(next, 20);
  };
  next();
});
app.post('/echo', (req, res) => {
  res.set('X-Length', req.get('content-length') || 'none');
  req.pipe(res);
});
app.get('/trailers', (req, res) => {
  res.set('Trailer', 'X-Sum');
  res.write('body');
  res.addTrailers({ 'X-Sum': '4' });
  res.end();
});
app.get('/hints', (req, res) => {
  res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
  res.send('hinted');
});

const server = http.createServer(app);
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true });
sockets.on('connection', (socket) => {
  socket.on('message', (data, binary) => {
    const text = binary ? '' : data.toString();
    if (text.startsWith('close ')) return socket.close(Number(text.slice(6)), 'as told');
    if (text === 'terminate') return socket.terminate();
    socket.send(data, { binary });
  });
});
const io = new Server(server, { path: '/socket.io' });
io.on('connection', (socket) => socket.on('echo', (value, reply) => reply(value, socket.conn.transport.name)));
server.on('upgrade', (request, socket, head) => {
  if (request.url.startsWith('/ws')) {
    sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws, request));
  }
});
server.listen(process.env.PORT);
