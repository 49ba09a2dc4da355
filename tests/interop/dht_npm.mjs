// bittorrent-dht (npm, version 11) nodes on loopback, the first of them driven by lines as dht_libtorrent.py is.
// Needs: NODE_MODULES, the folder that holds bittorrent-dht.
//
// Usage: node dht_npm.mjs [HOST:PORT of a node they shall know [HOW MANY]]
// In:    announce INFOHASH PORT | find INFOHASH | nodes
//        put_mutable SEED KEY SALT SEQ VALUE | get_mutable KEY SALT | put_immutable VALUE | get_immutable TARGET
// Out:   {"ready": PORT} | {"announced": INFOHASH} | {"peers": ["127.0.0.1:7777"]} | {"nodes": N}
//        {"put": NODES THAT TOOK IT} | {"value": HEX, "seq": N} | {"value": null}
// All hex; "-" is no salt; values are bencoded.
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const load = name => import(pathToFileURL(`${process.env.NODE_MODULES}/${name}/index.js`))
const { Client } = await load('bittorrent-dht')
const { default: bencode } = await load('bencode')

const say = what => console.log(JSON.stringify(what))
const known = process.argv[2]
const unhex = text => Buffer.from(text === '-' ? '' : text, 'hex')

// Node's own Ed25519, with the headers that RFC 8410 puts before raw keys.
const der = (head, raw) => ({ key: Buffer.concat([unhex(head), raw]), format: 'der' })
const secret = seed => createPrivateKey({ ...der('302e020100300506032b657004220420', seed), type: 'pkcs8' })
const open = key => createPublicKey({ ...der('302a300506032b6570032100', Buffer.from(key)), type: 'spki' })
const check = (signature, message, key) => verify(null, message, open(key), signature)

function start () {
  const dht = new Client({ bootstrap: known ? [known] : false, host: '127.0.0.1', verify: check })
  dht.on('error', err => console.error(String(err)))
  return dht
}

const [dht, ...others] = Array.from({ length: Number(process.argv[3] ?? 1) }, start)
others.forEach(other => other.listen(0, '127.0.0.1'))
dht.listen(0, '127.0.0.1', () => say({ ready: dht.address().port }))

function putMutable (seed, key, salt, seq, value) {
  const item = { k: unhex(key), seq: Number(seq), v: bencode.decode(unhex(value)) }
  if (salt !== '-') item.salt = unhex(salt)
  item.sign = message => sign(null, message, secret(unhex(seed)))
  dht.put(item, (err, _hash, count) => say({ put: err ? 0 : count, error: err?.message }))
}

function getMutable (key, salt) {
  const target = createHash('sha1').update(unhex(key)).update(unhex(salt)).digest()
  const options = salt === '-' ? {} : { salt: unhex(salt) }
  // Without this it answers from its own memory.
  dht.get(target, { ...options, cache: false }, shown)
}

function shown (err, found) {
  if (err || !found) return say({ value: null, error: err?.message })
  say({ value: Buffer.from(bencode.encode(found.v)).toString('hex'), seq: found.seq })
}

function find (infohash) {
  const peers = new Set()
  const take = (peer, hash) => {
    if (hash.toString('hex') === infohash) peers.add(`${peer.host}:${peer.port}`)
  }
  dht.on('peer', take)
  dht.lookup(infohash, () => {
    dht.off('peer', take)
    say({ peers: [...peers].sort() })
  })
}

let met = Date.now()

function nodes () {
  const count = dht.nodes.toArray().length
  if (count < 8 && known && Date.now() - met > 3000) {
    met = Date.now()
    // The first answer may have been lost: the node it shall know, once more, and a search.
    const [host, port] = known.split(':')
    dht.addNode({ host, port: Number(port) })
    dht.lookup(randomBytes(20).toString('hex'))
  }
  say({ nodes: count })
}

createInterface({ input: process.stdin }).on('line', line => {
  const [command, ...words] = line.split(' ')
  const [infohash, port] = words
  if (command === 'announce') dht.announce(infohash, Number(port), () => say({ announced: infohash }))
  else if (command === 'find') find(infohash)
  else if (command === 'put_mutable') putMutable(...words)
  else if (command === 'get_mutable') getMutable(...words)
  else if (command === 'put_immutable') {
    dht.put({ v: bencode.decode(unhex(words[0])) }, (err, _hash, count) => say({ put: err ? 0 : count }))
  } else if (command === 'get_immutable') dht.get(words[0], { cache: false }, shown)
  else if (command === 'nodes') nodes()
}).on('close', () => process.exit(0))
