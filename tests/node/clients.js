// Real clients against `process.argv[2]` (an http:// address). Each check throws when something is not as it should be;
// prints the name of each that passed.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const http = require('http');
const { Readable } = require('stream');
const { io } = require('socket.io-client');
const undici = require('undici');
const WebSocket = require('ws');

const base = process.argv[2];
const only = process.argv[3];
const once = (emitter, event) => new Promise((resolve, reject) => {
  emitter.once(event, (...values) => resolve(values));
  emitter.once('error', reject);
});
const connect = async (path = '/ws', options = {}) => {
  const socket = new WebSocket(base.replace('http', 'ws') + path, options);
  await once(socket, 'open');
  return socket;
};

const checks = {
  async ws_messages_of_all_sizes() {
    const socket = await connect();
    for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
      const data = crypto.randomBytes(size);
      socket.send(data);
      const [back, binary] = await once(socket, 'message');
      assert(binary && data.equals(back), `${size} octets`);
    }
    socket.send('text é');
    assert.strictEqual((await once(socket, 'message'))[0].toString(), 'text é');
    socket.close();
    await once(socket, 'close');
  },
  async ws_many_frames_in_flight() {
    const socket = await connect();
    const data = crypto.randomBytes(1 << 20);
    let back = 0;
    const all = new Promise((resolve) => socket.on('message', (one) => {
      assert(data.equals(one));
      if (++back === 32) resolve();
    }));
    for (let i = 0; i < 32; i++) socket.send(data);
    await all;
    socket.terminate();
  },
  async ws_without_compression() {
    const socket = await connect('/ws', { perMessageDeflate: false });
    socket.send(Buffer.alloc(1 << 20, 'x'));
    assert.strictEqual((await once(socket, 'message'))[0].length, 1 << 20);
    socket.close();
  },
  async ws_close_codes_from_the_client() {
    for (const code of [1000, 1001, 3000, 4999]) {
      const socket = await connect();
      socket.close(code, 'bye');
      assert.strictEqual((await once(socket, 'close'))[0], code);
    }
  },
  async ws_close_codes_from_the_server() {
    for (const code of [1000, 1011, 4000]) {
      const socket = await connect();
      socket.send(`close ${code}`);
      const [got, reason] = await once(socket, 'close');
      assert.deepStrictEqual([got, reason.toString()], [code, 'as told']);
    }
  },
  async ws_a_server_that_breaks_off_is_1006() {
    const socket = await connect();
    socket.send('terminate');
    assert.strictEqual((await once(socket, 'close'))[0], 1006);
  },
  async ws_ping_and_pong() {
    const socket = await connect();
    socket.ping('are you there');
    assert.strictEqual((await once(socket, 'pong'))[0].toString(), 'are you there');
    socket.close();
  },
  async ws_hundred_at_once() {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => connect()));
    await Promise.all(sockets.map(async (socket, i) => {
      socket.send(`number ${i}`);
      assert.strictEqual((await once(socket, 'message'))[0].toString(), `number ${i}`);
      socket.close();
      await once(socket, 'close');
    }));
  },
  async socket_io_over_each_transport() {
    for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
      const socket = io(base, { transports, forceNew: true });
      await once(socket, 'connect');
      if (transports.length === 2 && socket.io.engine.transport.name !== 'websocket') await once(socket.io.engine, 'upgrade');
      const value = { text: 'x'.repeat(100000), octets: crypto.randomBytes(1000) };
      const [back, transport] = await new Promise((resolve) => socket.emit('echo', value, (...all) => resolve(all)));
      assert.strictEqual(back.text, value.text);
      assert(value.octets.equals(back.octets));
      assert.strictEqual(transport, transports[transports.length - 1]);
      socket.disconnect();
    }
  },
  async fetch_of_node() {
    const data = crypto.randomBytes(1 << 20);
    const back = await fetch(base + '/echo', { method: 'POST', body: data });
    assert.strictEqual(back.headers.get('x-length'), String(data.length));
    assert(data.equals(Buffer.from(await back.arrayBuffer())));
    const parts = async function* () { for (let i = 0; i < 100; i++) yield Buffer.alloc(1000, i); };
    const streamed = await fetch(base + '/echo', { method: 'POST', body: Readable.toWeb(Readable.from(parts())), duplex: 'half' });
    assert.strictEqual(streamed.headers.get('x-length'), 'none');
    assert.strictEqual((await streamed.arrayBuffer()).byteLength, 100000);
    assert.strictEqual((await fetch(base + '/nothing')).status, 404);
  },
  async undici_pipelines() {
    const client = new undici.Client(base, { pipelining: 10 });
    const answers = await Promise.all(Array.from({ length: 100 }, () => client.request({ path: '/healthz', method: 'GET' })));
    for (const { statusCode, body } of answers) {
      assert.strictEqual(statusCode, 200);
      assert.strictEqual(await body.text(), 'ok');
    }
    const { trailers, body } = await client.request({ path: '/trailers', method: 'GET', headers: { te: 'trailers' } });
    assert.strictEqual(await body.text(), 'body');
    assert.deepStrictEqual(trailers, { 'x-sum': '4' });
    await client.close();
  },
  async undici_fetch() {
    assert.strictEqual(await (await undici.fetch(base + '/healthz')).text(), 'ok');
  },
  async node_http_with_keep_alive_and_early_hints() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i++) {
      let hints;
      const request = http.get(base + '/hints', { agent });
      request.on('information', (info) => { hints = info; });
      const [response] = await once(request, 'response');
      response.resume();
      await once(response, 'end');
      assert.strictEqual(hints.statusCode, 103);
      assert.strictEqual(hints.headers.link, '</style.css>; rel=preload; as=style');
      assert.strictEqual(request.reusedSocket, i > 0);
    }
    agent.destroy();
  },
  async node_http_waits_for_100_continue() {
    const request = http.request(base + '/echo', { method: 'POST', headers: { expect: '100-continue', 'content-length': 5 } });
    request.flushHeaders();
    await once(request, 'continue');
    request.end('hello');
    const [response] = await once(request, 'response');
    assert.strictEqual((await response.toArray()).join(''), 'hello');
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    if (only && name !== only) continue;
    await Promise.race([check(), new Promise((_, reject) => setTimeout(reject, 60000, new Error('nothing for a minute')).unref())])
      .catch((error) => { error.message = `${name}: ${error.message}`; throw error; });
    console.log(name);
  }
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
