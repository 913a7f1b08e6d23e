// JSON lines between a test and its peer: commands come on stdin, answers and events go to stdout.
// Octets are written as {"hex": "..."} both ways.
'use strict';

const readline = require('readline');

const writeOctets = (_, value) =>
  value && value.type === 'Buffer' ? { hex: Buffer.from(value.data).toString('hex') } : value;
const readOctets = (_, value) =>
  value && typeof value.hex === 'string' ? Buffer.from(value.hex, 'hex') : value;

exports.say = (line) => process.stdout.write(JSON.stringify(line, writeOctets) + '\n');

// Obey each line with the function that its "do" names; the peer ends with its stdin.
exports.obey = (commands) => {
  const input = readline.createInterface({ input: process.stdin });
  input.on('line', (line) => {
    const command = JSON.parse(line, readOctets);
    commands[command.do](command);
  });
  input.on('close', () => process.exit(0));
};
