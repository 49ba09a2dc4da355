// A net of bittorrent-dht (npm) nodes in one process on loopback: `node dht_npm.mjs NODES OPS DEAD_PERCENT`, one JSON line.
// Needs NODE_MODULES, the folder that holds bittorrent-dht. The same keys as `granary bench dht`.
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { pathToFileURL } from 'node:url'

const { Client } = await import(pathToFileURL(`${process.env.NODE_MODULES}/bittorrent-dht/index.js`))
const [count, ops, dead] = process.argv.slice(2).map(Number)
const SERIES_MS = 60_000
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

const publicKey = raw => createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' })
const rss = () => process.memoryUsage().rss / 1048576
const cpu = () => { const used = process.cpuUsage(); return (used.user + used.system) / 1e3 }
const rounded = value => Math.round(value * 1e3) / 1e3
const once = start => new Promise(resolve => start(resolve))

async function node (known) {
  const dht = new Client({
    bootstrap: known ? [`127.0.0.1:${known}`] : false,
    host: '127.0.0.1',
    verify: (sig, message, key) => verify(null, message, publicKey(key), sig)
  })
  dht.on('error', () => {})
  await once(done => dht.listen(0, '127.0.0.1', done))
  if (known) await Promise.race([once(done => dht.on('ready', done)), once(done => setTimeout(done, 3000))])
  return dht
}

// Ends a node and holds its port with a socket that never answers.
async function bury (dht) {
  const { port } = dht.address()
  await once(done => dht.destroy(done))
  const grave = createSocket('udp4')
  await once(done => grave.bind(port, '127.0.0.1', done))
}

const before = rss()
const begun = Date.now()
const nodes = []
for (let n = 0; n < count + 2; n++) nodes.push(await node(nodes[0]?.address().port))
const up = (Date.now() - begun) / 1e3
const perNode = (rss() - before) / (count + 2)
for (const dht of nodes.slice(1, 1 + Math.floor(count * dead / 100))) await bury(dht)
const [writer, reader] = nodes.slice(-2)

const times = {}
let found = 0
let asked = 0
async function timed (kind, deed) {
  const start = process.hrtime.bigint()
  const result = await once(deed)
  times[kind] = (times[kind] ?? []).concat(Number(process.hrtime.bigint() - start) / 1e6)
  return result
}

async function pair (kind, item) {
  const target = await timed(`put_${kind}`, done => writer.put(item, (err, hash) => done(err ? null : hash)))
  asked++
  if (!target) return
  const options = { cache: false, ...(item.salt && { salt: item.salt }) }
  const got = await timed(`get_${kind}`, done => reader.get(target, options, (err, value) => done(err ? null : value)))
  if (got && Buffer.compare(Buffer.from(got.v), item.v) === 0) found++
}

const spent = [cpu()]
let end = Date.now() + SERIES_MS
for (let n = 0; n < ops && Date.now() < end; n++) await pair('imm', { v: Buffer.from(`value ${n} ${process.pid}`) })
spent.push(cpu())
end = Date.now() + SERIES_MS
for (let n = 0; n < ops && Date.now() < end; n++) {
  const keys = generateKeyPairSync('ed25519')
  const k = Buffer.from(keys.publicKey.export({ type: 'spki', format: 'der' }).subarray(12))
  await pair('mut', { k, seq: 1, v: Buffer.from('value'), sign: bytes => sign(null, bytes, keys.privateKey) })
}
spent.push(cpu())

const done = kinds => kinds.reduce((sum, kind) => sum + (times[kind]?.length ?? 0), 0)
const report = {
  impl: 'bittorrent-dht (npm)',
  nodes: count,
  ops,
  dead_percent: dead,
  testnet_up_s: up,
  rss_per_node_MiB: rounded(perNode),
  ok_frac: rounded(found / asked),
  cpu_ms_per_op_allnodes: rounded((spent[2] - spent[0]) / done(['put_imm', 'get_imm', 'put_mut', 'get_mut'])),
  cpu_ms_per_imm_op: rounded((spent[1] - spent[0]) / done(['put_imm', 'get_imm'])),
  cpu_ms_per_mut_op: rounded((spent[2] - spent[1]) / done(['put_mut', 'get_mut']))
}
for (const [kind, all] of Object.entries(times)) {
  all.sort((a, b) => a - b)
  for (const [name, part] of [['p50', 0.5], ['p99', 0.99]]) {
    report[`${kind}_${name}`] = rounded(all[Math.floor((all.length - 1) * part)])
  }
}
console.log(JSON.stringify(report))
process.exit(0)
