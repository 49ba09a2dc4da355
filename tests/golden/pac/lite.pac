var P = "PROXY 192.168.1.2:42080", D = "DIRECT";
var L = {"linked.example.com":1,"old-site.example.net":1,"xn--bcher-kva.example.org":1};
function FindProxyForURL(url, host) {
  var h = String(host).toLowerCase(), n = h.length - 1;
  if (h.charAt(n) == ".") h = h.substring(0, n);
  if (h == "btlink" || h.substring(h.length - 7) == ".btlink") return P;
  if (url.substring(0, 7).toLowerCase() != "http://" || url.charAt(7 + String(host).length) == ":") return D;
  if (L[h] === 1) return P + "; " + D;
  return D;
}
