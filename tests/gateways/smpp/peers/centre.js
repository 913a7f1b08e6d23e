// A message centre made with the npm package smpp: it takes texts, gives them ids, and reports them delivered.
'use strict';

const fs = require('fs');
const smpp = require('smpp');
const { say, obey } = require('./lines');

const password = process.argv[2];
const bound = new Set();
let lastId = 0;

function report(session, pdu, messageId) {
  session.deliver_sm({
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
    short_message: `id:${messageId} sub:001 dlvrd:001 submit date:2603111200 done date:2603111201 stat:DELIVRD err:000 text:`,
    receipted_message_id: messageId,
    message_state: smpp.MESSAGE_STATE.DELIVERED,
  }, (answer) => say({ event: 'receipt_answered', pdu: answer }));
}

function serve(session) {
  session.on('error', () => session.destroy());
  session.on('close', () => bound.delete(session));
  for (const mode of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(mode, (pdu) => {
      const status = pdu.password === password ? smpp.ESME_ROK : smpp.ESME_RINVPASWD;
      session.send(pdu.response({ command_status: status, system_id: 'npm' }));
      if (status === smpp.ESME_ROK) bound.add(session);
      say({ event: mode, pdu });
    });
  }
  session.on('submit_sm', (pdu) => {
    const messageId = `npm-${++lastId}`;
    session.send(pdu.response({ message_id: messageId }));
    say({ event: 'submit_sm', pdu });
    if (pdu.registered_delivery & 1) report(session, pdu, messageId);
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
    say({ event: 'unbind', pdu });
  });
}

obey({
  listen({ certificate, key }) {
    const tls = certificate ? { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) } : {};
    const server = smpp.createServer(tls, serve);
    server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));
  },
  request({ id, command, fields }) {
    const [session] = bound;
    session[command](fields, (pdu) => say({ id, pdu }));
  },
  drop() {
    for (const session of bound) session.destroy();
  },
});
