// Package reachtest lists what nobody may reach where a stranger says where: for
// tests, and for the proof that does the same to the whole server.
package reachtest

// Forbidden are hosts as a URL spells them, in all ways in which this machine, its
// networks and what else is not the internet can be written. The names among them
// end in .test, or are those of this machine.
func Forbidden() []string {
	return []string{
		// Loopback, this network, and private ones.
		"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.255", "0.0.0.0", "0.1.2.3",
		"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
		// Link-local, shared, and where clouds keep their metadata.
		"169.254.0.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200",
		"100.127.255.255", "192.0.0.192", "168.63.129.16", "[fd00:ec2::254]", "[fd20:ce::254]",
		// Protocol assignments, documentation, benchmarks, AS112, relays.
		"192.0.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "198.19.255.255",
		"192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1",
		// Multicast, reserved, broadcast.
		"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.254", "255.255.255.255",
		// IPv4 in spellings that some resolvers take.
		"127.1", "127.0.1", "0", "0x0", "00.00.00.00", "2130706433", "0x7f000001", "0X7F000001", "0x7f.1",
		"0x7f.0.0.1", "0x7f.0x0.0x0.0x1", "017700000001", "0177.0.0.1", "0177.0.0.01", "00000177.0.0.1",
		"127.0.0.001", "127.00.0.1", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
		"169.254.43518", "169.16689662", "127.0.0.1.", "127.0.0.1..", "0x7f.1.", "1.2.3", "8.8.8.8.", "256.256.256.256",
		"127.0.0.0x1", "4294967296", "127.0.0.1.0x",
		// Dots, digits and letters that IDNA maps to ASCII, and escapes.
		"127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "ｌocalhost",
		"loc\u00adalhost", "127.0.0.1%00", "127.0.0.1%2f", "%31%32%37.0.0.1", "localhost%2e", "127.0.0.1%E3%80%82",
		// Names of this machine.
		"localhost", "LOCALHOST", "localhost.", "loopback.test", "sneaky.test", "six.test", "mixed.test", "metadata.test",
		// IPv6 that is not the internet.
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::1%25lo]", "[fe80::1]", "[fe80::1%25eth0]",
		"[fec0::1]", "[fc00::1]", "[fd12:3456::1]", "[ff02::1]", "[ff0e::1]", "[100::1]", "[5f00::1]",
		"[2001:db8::1]", "[3fff::1]", "[2001:2::1]", "[2001:10::1]", "[2001:20::1]", "[2620:4f:8000::1]",
		"[4000::1]", "[e000::1]",
		// IPv4 within IPv6: mapped, translated, compatible, NAT64, 6to4, Teredo, ISATAP.
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::ffff:10.0.0.1]",
		"[::ffff:0:127.0.0.1]", "[::127.0.0.1]", "[::7f00:1]", "[::169.254.169.254]", "[::8.8.8.8]",
		"[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::8.8.8.8]", "[64:ff9b:1::127.0.0.1]",
		"[64:ff9b:1:7f00:0:100::]", "[64:ff9b:1::]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2002:808:808::1]",
		"[2001:0:7f00:1::1]", "[2001:0:808:808:0:0:80ff:fffe]", "[2600:1234::5efe:127.0.0.1]",
		"[2600:1234::200:5efe:10.0.0.1]", "[2a00:1450:0:0:0:5efe:a9fe:a9fe]", "[fe80::5efe:192.168.0.1]",
	}
}
