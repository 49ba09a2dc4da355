// One bittorrent-dht (npm, version 11) node on loopback, driven by lines as dht_libtorrent.py is.
// Needs: NODE_MODULES, the folder that holds bittorrent-dht.
//
// Usage: node dht_npm.mjs [HOST:PORT of a node it shall know]
// In:    announce INFOHASH PORT | find INFOHASH | nodes
// Out:   {"ready": PORT} | {"announced": INFOHASH} | {"peers": ["127.0.0.1:7777"]} | {"nodes": N}
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const module = pathToFileURL(`${process.env.NODE_MODULES}/bittorrent-dht/index.js`)
const { Client } = await import(module)

const say = what => console.log(JSON.stringify(what))
const known = process.argv[2]
const dht = new Client({ bootstrap: known ? [known] : false, host: '127.0.0.1' })
dht.on('error', err => console.error(String(err)))
dht.listen(0, '127.0.0.1', () => say({ ready: dht.address().port }))

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

createInterface({ input: process.stdin }).on('line', line => {
  const [command, infohash, port] = line.split(' ')
  if (command === 'announce') dht.announce(infohash, Number(port), () => say({ announced: infohash }))
  else if (command === 'find') find(infohash)
  else if (command === 'nodes') say({ nodes: dht.nodes.toArray().length })
}).on('close', () => process.exit(0))
