// wt_peer.mjs MODULES TORRENT DIR PORT PEER|-: one webtorrent peer (TCP only), until stdin closes.
import fs from 'fs'
import path from 'path'
const [modules, torrent, dir, port, peer] = process.argv.slice(2)
const { default: WebTorrent } = await import(path.join(modules, 'node_modules/webtorrent/index.js'))
const client = new WebTorrent({ dht: false, lsd: false, utp: false, tracker: false, torrentPort: +port, natUpnp: false, natPmp: false, webSeeds: false })
client.on('error', err => { console.error(err); process.exit(1) })
client.add(fs.readFileSync(torrent), { path: dir, announce: [] }, t => {
  if (peer !== '-') {
    t.addPeer(peer)
    setInterval(() => { if (t.numPeers === 0) t.addPeer(peer) }, 2000)
  }
  t.on('done', () => console.log('done'))
})
// A test that dies closes our stdin: then we end as well.
process.stdin.on('end', () => process.exit(0))
process.stdin.resume()
