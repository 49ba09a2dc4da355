"""lt_make.py CONTENT OUT TRACKER PIECE_LEN: makes a v1 torrent with libtorrent, prints the infohash."""
import os
import sys

import libtorrent as lt

content, out, tracker, piece_len = sys.argv[1:5]
storage = lt.file_storage()
lt.add_files(storage, content)
torrent = lt.create_torrent(storage, int(piece_len), lt.create_torrent.v1_only)
if tracker:
    torrent.add_tracker(tracker)
lt.set_piece_hashes(torrent, os.path.dirname(os.path.abspath(content)))
data = lt.bencode(torrent.generate())
with open(out, "wb") as f:
    f.write(data)
print(lt.torrent_info(out).info_hash())
