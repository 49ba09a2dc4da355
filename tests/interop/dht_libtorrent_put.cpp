// Puts a mutable item with any bencoded value through libtorrent, whose Python bindings put byte strings only.
// Build: g++ -O1 -o dht_libtorrent_put dht_libtorrent_put.cpp -ltorrent-rasterbar     (Debian: libtorrent-rasterbar-dev)
//
// Usage: dht_libtorrent_put PORT SEED SALT SEQ VALUE      PORT: of a node on loopback; all else hex, "-" is no salt
// Out:   {"put": NODES THAT TOOK IT}
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include <libtorrent/alert_types.hpp>
#include <libtorrent/bdecode.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/kademlia/ed25519.hpp>
#include <libtorrent/kademlia/item.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/settings_pack.hpp>

using clock_type = std::chrono::steady_clock;

static std::string unhex(std::string const& text) {
    std::string out;
    if (text == "-") return out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) out += char(std::strtol(text.substr(i, 2).c_str(), nullptr, 16));
    return out;
}

static lt::settings_pack loopback() {
    lt::settings_pack pack;
    pack.set_str(lt::settings_pack::listen_interfaces, "127.0.0.1:0");
    pack.set_str(lt::settings_pack::dht_bootstrap_nodes, "");
    pack.set_int(lt::settings_pack::alert_mask, lt::alert_category::dht | lt::alert_category::dht_operation);
    for (int off : {int(lt::settings_pack::enable_lsd), int(lt::settings_pack::enable_upnp), int(lt::settings_pack::enable_natpmp),
                    int(lt::settings_pack::dht_restrict_routing_ips), int(lt::settings_pack::dht_restrict_search_ips),
                    int(lt::settings_pack::dht_enforce_node_id), int(lt::settings_pack::dht_prefer_verified_node_ids),
                    int(lt::settings_pack::dht_ignore_dark_internet)})
        pack.set_bool(off, false);
    return pack;
}

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    std::string const seed = unhex(argv[2]), salt = unhex(argv[3]), value = unhex(argv[5]);
    std::array<char, 32> raw;
    std::copy_n(seed.begin(), 32, raw.begin());
    lt::dht::public_key pk;
    lt::dht::secret_key sk;
    std::tie(pk, sk) = lt::dht::ed25519_create_keypair(raw);
    std::int64_t const number = std::atoll(argv[4]);

    lt::session session(loopback());
    session.add_dht_node({"127.0.0.1", std::atoi(argv[1])});
    auto put = [&] {
        session.dht_put_item(pk.bytes, [=](lt::entry& e, std::array<char, 64>& sig, std::int64_t& seq, std::string const& salt) {
            lt::error_code ec;
            e = lt::entry(lt::bdecode(value, ec));
            std::vector<char> buffer;
            lt::bencode(std::back_inserter(buffer), e);
            seq = number;
            sig = lt::dht::sign_mutable_item(buffer, salt, lt::dht::sequence_number(number), pk, sk).bytes;
        }, salt);
    };
    auto const end = clock_type::now() + std::chrono::seconds(30);
    put();
    while (clock_type::now() < end) {
        session.wait_for_alert(std::chrono::milliseconds(100));
        std::vector<lt::alert*> alerts;
        session.pop_alerts(&alerts);
        for (lt::alert* alert : alerts) {
            auto const* done = lt::alert_cast<lt::dht_put_alert>(alert);
            if (done == nullptr) continue;
            if (done->num_success > 0) {
                std::printf("{\"put\": %d}\n", done->num_success);
                return 0;
            }
            // A new node knows nobody yet.
            put();
        }
    }
    std::printf("{\"put\": 0}\n");
    return 1;
}
