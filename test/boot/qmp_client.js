// SPDX-License-Identifier: Apache-2.0
//
// A session by a client that is not ours: npm's qemu-qmp. Says on each line
// what it was answered; the test reads them.
'use strict';

const QMP = require('qemu-qmp');

const qmp = new QMP();
const seen = [];

function ask(name, args) {
	return new Promise((resolve) => {
		qmp.execute(name, args, (err, value) =>
			resolve(err ? 'error: ' + err.message : value));
	});
}

async function talk() {
	console.log('greeted', qmp.version.qemu.major > 9,
		qmp.capabilities.length);
	console.log('status', (await ask('query-status')).status);
	console.log('commands', (await ask('query-commands'))
		.some((c) => c.name === 'qom-list'));
	console.log('refused', await ask('device_del', {id: 'none'}));
	await ask('cont');
	console.log('status', (await ask('query-status')).status);
	await ask('stop');
	// Two at once: the answers come in order.
	console.log('both', (await Promise.all([ask('query-name'),
		ask('query-kvm')])).map((v) => v.name || v.present).join());
	console.log('events', seen.join());
	await ask('quit');
}

// 'resume' is an event of its socket as well.
qmp.on('stop', () => seen.push('stop'));
qmp.on('shutdown', () => console.log('shutdown'));
qmp.on('end', () => console.log('end'));
qmp.connect(process.argv[2], (err) => {
	if (err)
		throw err;
	talk();
});
