// An ESME made with the npm package smpp.
'use strict';

const fs = require('fs');
const smpp = require('smpp');
const { say, obey } = require('./lines');

let session;

obey({
  connect({ host, port, ca }) {
    const tls = ca ? { tls: true, ca: fs.readFileSync(ca), servername: 'localhost' } : {};
    session = smpp.connect({ host, port, ...tls });
    session.on(ca ? 'secureConnect' : 'connect', () => say({ event: 'connected' }));
    session.on('error', (error) => say({ event: 'error', message: error.message }));
    session.on('close', () => say({ event: 'closed' }));
    session.on('deliver_sm', (pdu) => {
      session.send(pdu.response());
      say({ event: 'deliver_sm', pdu });
    });
    session.on('enquire_link', (pdu) => {
      session.send(pdu.response());
      say({ event: 'enquire_link', pdu });
    });
    session.on('unbind', (pdu) => {
      session.send(pdu.response());
      say({ event: 'unbind', pdu });
    });
  },
  request({ id, command, fields }) {
    session[command](fields, (pdu) => say({ id, pdu }));
  },
});
