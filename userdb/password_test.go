package userdb

import (
	"errors"
	"strings"
	"testing"
)

// testCost is the least that scrypt does, for tests that need a hash and not
// its strength.
func testCost() Cost { return Cost{LogN: 4, R: 1, P: 1} }

const (
	horse = "correct horse"
	words = "пароль 密碼"
	budgt = 256 << 20
)

// vectors are hashes that other programs wrote: libsodium 1.0.18 (which Pure-FTPd
// uses), pure-pw 1.0.50, and mkpasswd 5.5 with libxcrypt.
func vectors() []struct{ maker, password, hash string } {
	return []struct{ maker, password, hash string }{
		{"libsodium scrypt", horse, "$7$C6..../....dFdjEhlEeT4KrEZbqx036yCk1cukv9w1AuBexeB/qL3$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6"},
		{"libsodium scrypt", words, "$7$C6..../....uMKk.eBlLlL5iPjMCbbiJDPVAWaUN9Gt0YRkABXgH76$Ob43g9Yo/0cLUPofBIDJufhWbQ3SxshJF4Igw0AZNwD"},
		{"libsodium scrypt, small", horse, "$7$86..../....ZNYG8E4X4znYYQPZbsQwXqidUs/lH9zsYRlEVbpei3D$3q6XMvyvcggMzWQPWb6f.FGdlJQJOIXXP9wLldwiT61"},
		{"mkpasswd scrypt, r=32, short salt", horse, "$7$CU..../....N3EFnwrGkSkkqn5zptHZ/.$qMQLxvB.FbMypaq5iXMtDjilLXELN34lsFv3cjz.9e2"},
		{"pure-pw argon2id", horse, "$argon2id$v=19$m=1024,t=2047,p=1$ObsIznHMkuhrC5//zXEMMg$dKxs3U9YL5E+BT8cdJfr7L2dO4sPEcT/tCp/GGJu2LQ"},
		{"libsodium argon2id, small", horse, "$argon2id$v=19$m=64,t=1,p=1$OUUcUtIwoASMQfhXIB23YQ$lRLn/nDkNGe39LQb3B0LMoCwYyWNp/vWM9u4PuokkOo"},
		{"libsodium argon2id", horse, "$argon2id$v=19$m=8192,t=2,p=1$AnzQGDyPh6cvs/HuFe0VMQ$8OiLJySin7uBHL7Wn0ia+p+WEyDiiUZT7VAm7D0K9Ng"},
		{"libsodium argon2i", horse, "$argon2i$v=19$m=8192,t=3,p=1$6hF/4NfZnh22XpdN9Ag3Nw$jsw8s1Mo1rEQKkyt5NmI83C6ccu8bUX25WkfV+K9+0s"},
		{"mkpasswd yescrypt, small", horse, "$y$j75$CWjtVGeohBQVnI655H0PR/$w8VHF5la6USer/v0ma7XBWnPzsjhPN2V9es0uBDJfy4"},
		{"mkpasswd yescrypt", words, "$y$j9T$JXhU6b2YK1p7I/3k6N2Ys0$rdIQp2VUOhn3.qFNY0TgCMvPkWhamV0eQk.7QRhdqgB"},
		{"mkpasswd sha512crypt", horse, "$6$a28QsHdg2//1HZA5$Y.X2qu.AwAxeWaaAg4ASXaOkqvinXQ/QQ1HW6E.Ca6xGHSH.7kosa0SeqAlzGD8o2r0YTLRAcGxzRQVwIZ9C51"},
		{"mkpasswd sha512crypt", words, "$6$v07LPdnsF1QN4P3L$pScw.U1HDN4HfH7RPVU7I1FFxchRP6sPScrOhQvwajBFrYhAAVJv/2e6DVUFcaV3hAnmPMXTyXiUr891VMVBY."},
		{"mkpasswd sha512crypt, rounds", horse, "$6$rounds=1234$s5AkfUjb7UNRM3Ie$Gbht56ZdRIB7WdjmhCi/MlhTSTaFYc.kwNnebe8940.IDorkV6O3fMzswwpU0xx3id5KJKMXyFonPpnh2R7Gb."},
		{"mkpasswd sha512crypt, 100 bytes", strings.Repeat("a", 100), "$6$gUyeeLHnaUXsIeLv$eBFDoDnGRvcHNyRt2ePPZLRzm4GYHE8ZEEUV3OOidGskXgOUYgCfnf6jt/e2tt3an4lKYU/X3F3GGXFiY9gxo/"},
		{"mkpasswd sha256crypt", horse, "$5$07Iknlv1xvlk7s.F$lMZA01.IlXzVaen6AsHVN815jYBj1DZFtrY8LbZxTp6"},
		{"mkpasswd sha256crypt, rounds", horse, "$5$rounds=1000$YcI9Tkky5s3cFCLZ$DEO1E5M04GIaS2CWsH9eNXfJIk8QAsXcUD1o0eApEL0"},
		{"mkpasswd md5crypt", horse, "$1$hU16aZ/R$kBacLffraFr9TnpnnH7zB1"},
		{"mkpasswd md5crypt", words, "$1$pYry/8rf$21GZUZ3iCXWp6f/PPyZb9/"},
		{"mkpasswd md5crypt, 100 bytes", strings.Repeat("a", 100), "$1$/LYXoaqF$vmXxJ9t/tRXEbYGhPclaB."},
		{"mkpasswd bcrypt", horse, "$2b$05$6asCSdjsl7ySNMuefmM2Uughg8IsaWz/qaXN9/KnYxvPK8fXZwOKa"},
		{"mkpasswd bcrypt-a", horse, "$2a$05$f.lynvWe6gzq0aOVEUC1re2AeM/kzpVbGVGyYgv0Prj4deAwdfW2K"},
		{"mkpasswd bcrypt as PHP marks it", horse, "$2y$05$6asCSdjsl7ySNMuefmM2Uughg8IsaWz/qaXN9/KnYxvPK8fXZwOKa"},
		{"mkpasswd bcrypt, 100 bytes", strings.Repeat("a", 100), "$2b$05$LUqrpZuhPE7RVj1qcbCQ.uxy9/czvHlsON5RRp39rZd8Zpm4epHuq"},
	}
}

func TestVerifyVectors(t *testing.T) {
	for _, v := range vectors() {
		t.Run(v.maker, func(t *testing.T) {
			ok, err := Verify(v.hash, v.password, budgt)
			if !ok || err != nil {
				t.Errorf("%s\nright password: %v, %v", v.hash, ok, err)
			}
			wrongs := []string{v.password + "r", "", "wrong", strings.ToUpper(v.password), "x" + v.password}
			if strings.HasSuffix(v.maker, "100 bytes") {
				wrongs = wrongs[1:] // bcrypt looks at 72 bytes
			}
			if need, err := Memory(v.hash); err != nil || need > 4<<20 || strings.Contains(v.hash, "t=2047") {
				wrongs = nil // slow, and compared as the small one of its kind
			}
			for _, wrong := range wrongs {
				if ok, err := Verify(v.hash, wrong, budgt); ok || err != nil {
					t.Errorf("%s\nwrong password %q: %v, %v", v.hash, wrong, ok, err)
				}
			}
		})
	}
}

// A hash that lost or changed anything is nobody's.
func TestVerifyDamaged(t *testing.T) {
	for _, v := range vectors() {
		if need, err := Memory(v.hash); err != nil || need > 4<<20 || strings.Contains(v.hash, "t=2047") {
			continue // slow, and decoded as the others of its kind
		}
		last := v.hash[len(v.hash)-1]
		other := byte('.')
		if last == other {
			other = '/'
		}
		damaged := []string{
			"!" + v.hash,
			"*" + v.hash,
			" " + v.hash,
			v.hash[1:],
			v.hash[:len(v.hash)-1],
			v.hash[:len(v.hash)-8],
			v.hash[:strings.LastIndexByte(v.hash, '$')],
			v.hash[:strings.LastIndexByte(v.hash, '$')+1],
			v.hash + "a",
			v.hash + "\n",
			v.hash[:len(v.hash)-2] + string(other) + v.hash[len(v.hash)-1:],
		}
		for _, hash := range damaged {
			if hash == v.hash {
				continue
			}
			if ok, _ := Verify(hash, v.password, budgt); ok {
				t.Errorf("%s: damaged to %q, and still verifies", v.maker, hash)
			}
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	for _, c := range []struct {
		hash string
		want error
	}{
		{"", ErrUnknownHash},
		{"!", ErrUnknownHash},
		{"*", ErrUnknownHash},
		{"x", ErrUnknownHash},
		{"secret", ErrUnknownHash},
		{"$7$", ErrUnknownHash},
		{"$7$C6..../....", ErrUnknownHash},
		{"$7$C6..../....$", ErrUnknownHash},
		{"$7$C?..../....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrUnknownHash},
		{"$7$C6..../....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P!", ErrUnknownHash},
		{"$7$.6..../....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrInvalid},    // N=1
		{"$7$C...../....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrInvalid},    // r=0
		{"$7$C6.........salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrInvalid},    // p=0
		{"$7$z6..../....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrInvalid},    // N=2^63
		{"$7$Czzzzzzzzzzsalt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrInvalid},    // r·p of 2^60
		{"$7$M6..../....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrTooCostly},  // 16 GiB
		{"$7$G6..../....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrTooCostly},  // 256 MiB and a little
		{"$7$26....z....salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", nil},           // 32 KiB, p=63: wrong, but cheap
		{"$7$C6....zz...salt$kd6U1n6mxgrzXCKvoUxBZvxrohqayDIqOhTyJfze1P6", ErrTooCostly},  // 16 MiB, p=4095
		{"$argon2d$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrUnknownHash},     // not of Pure-FTPd
		{"$argon2id$m=1024,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrUnknownHash},         // version 16
		{"$argon2id$v=16$m=1024,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrUnknownHash},    // version 16
		{"$argon2id$v=19$m=1024,t=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrUnknownHash},        // no p
		{"$argon2id$v=19$m=0,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrUnknownHash},       // would be 32 MiB to the library
		{"$argon2id$v=19$m=1024,t=0,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrUnknownHash},    //
		{"$argon2id$v=19$m=1024,t=1,p=1,m=4194304$c2FsdHNhbHQ$c2Fsc2Fs", ErrUnknownHash},  // said twice
		{"$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrTooCostly},   // 4 GiB
		{"$argon2id$v=19$m=1024,t=999999,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrTooCostly}, // minutes
		{"$argon2id$v=19$m=1024,t=1,p=9999$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0", ErrTooCostly},   // as many goroutines
		{"$2b$31$6asCSdjsl7ySNMuefmM2Uughg8IsaWz/qaXN9/KnYxvPK8fXZwOKa", ErrTooCostly},    // days
		{"$2b$03$6asCSdjsl7ySNMuefmM2Uughg8IsaWz/qaXN9/KnYxvPK8fXZwOKa", ErrUnknownHash},  //
		{"$2x$05$6asCSdjsl7ySNMuefmM2Uughg8IsaWz/qaXN9/KnYxvPK8fXZwOKa", ErrUnknownHash},  // with the sign bug
		{"$6$rounds=999999999$salt$key", ErrTooCostly},
		{"$6$rounds=10$salt$key", ErrUnknownHash},
		{"$6$rounds=-5000$salt$key", ErrUnknownHash},
		{"$y$jET$wT15829bnJFtbnbmjBcgT1$81PxcLIVehMe7ObkSeeGcs6lHBiLqM9GtxmvrVuQ1A9", ErrTooCostly}, // 512 MiB
		{"$y$jzz$wT15829bnJFtbnbmjBcgT1$81PxcLIVehMe7ObkSeeGcs6lHBiLqM9GtxmvrVuQ1A9", ErrTooCostly},
		{"$y$k9T$wT15829bnJFtbnbmjBcgT1$81PxcLIVehMe7ObkSeeGcs6lHBiLqM9GtxmvrVuQ1A9", ErrUnknownHash},
		{"$gy$j9T$Pw5viGf6gIoDI6Gbn9BTv/$THmFWMnVDkZH4AlZ7QxflzPWsd3yPexK1yPEbbloqm8", ErrUnknownHash},
		{"$md5,rounds=55083$y53Jox4v$$WtwhfFWYyxJwQQbQZW.SH/", ErrUnknownHash},
		{"nQqvCdaoyfkys", ErrUnknownHash}, // DES
	} {
		ok, err := Verify(c.hash, horse, budgt)
		if ok || !errors.Is(err, c.want) {
			t.Errorf("Verify(%q) = %v, %v; want false, %v", c.hash, ok, err, c.want)
		}
	}
}

func TestHash(t *testing.T) {
	for _, password := range []string{"", "a", horse, words, strings.Repeat("x", maxPassword)} {
		hash, err := Hash(password, testCost())
		if err != nil {
			t.Fatal(err)
		}
		// libsodium wants exactly this many characters.
		if len(hash) != 101 {
			t.Errorf("%s has %d characters, not 101", hash, len(hash))
		}
		if err := validHash(hash); err != nil {
			t.Error(err)
		}
		if ok, err := Verify(hash, password, budgt); !ok || err != nil {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
		if ok, err := Verify(hash, password+"x", budgt); ok || err != nil {
			t.Errorf("%q, wrong: %v, %v", password, ok, err)
		}
		if again, _ := Hash(password, testCost()); again == hash {
			t.Error("two hashes of one password are the same")
		}
	}
}

func TestHashRefuses(t *testing.T) {
	for _, password := range []string{"a\x00b", "a\nb", "a\rb", strings.Repeat("x", maxPassword+1)} {
		if hash, err := Hash(password, testCost()); !errors.Is(err, ErrInvalid) {
			t.Errorf("Hash(%.20q) = %q, %v", password, hash, err)
		}
		if ok, _ := Verify(Dummy(testCost()), password, budgt); ok {
			t.Errorf("Verify of %.20q is true", password)
		}
	}
	for _, c := range []Cost{{}, {15, 8, 0}, {15, 0, 3}, {0, 8, 3}, {-1, 8, 3}, {63, 8, 1}, {64, 8, 1}, {15, 1 << 30, 1 << 30}, {24, 8, 8}} {
		if hash, err := Hash(horse, c); err == nil {
			t.Errorf("Hash at %v = %q, and no error", c, hash)
		}
	}
}

func TestDefaultCost(t *testing.T) {
	c := DefaultCost()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	hash := Dummy(c)
	if !strings.HasPrefix(hash, "$7$D6....1....") || len(hash) != 101 {
		t.Errorf("dummy of the default cost is %s", hash)
	}
	if need, err := Memory(hash); err != nil || need < 32<<20 || need > 33<<20 {
		t.Errorf("Memory = %d, %v", need, err)
	}
	if _, err := Verify(hash, horse, 16<<20); !errors.Is(err, ErrTooCostly) {
		t.Errorf("over the budget: %v", err)
	}
}

func TestWeaker(t *testing.T) {
	for _, c := range []struct {
		hash string
		want bool
	}{
		{Dummy(Cost{15, 8, 3}), false},
		{Dummy(Cost{17, 8, 1}), false}, // as strong by more memory
		{Dummy(Cost{15, 8, 2}), true},
		{Dummy(Cost{14, 8, 1}), true},
		{"$6$a28QsHdg2//1HZA5$Y.X2qu.AwAxeWaaAg4ASXaOkqvinXQ/QQ1HW6E.Ca6xGHSH.7kosa0SeqAlzGD8o2r0YTLRAcGxzRQVwIZ9C51", true},
		{"", true},
	} {
		if got := Weaker(c.hash, DefaultCost()); got != c.want {
			t.Errorf("Weaker(%s) = %v", c.hash, got)
		}
	}
}

// Whatever stands in the database for a hash, looking at it neither panics nor
// takes memory that was not asked for first.
func FuzzVerify(f *testing.F) {
	for _, v := range vectors() {
		f.Add(v.hash, v.password)
	}
	f.Add("$7$", "")
	f.Add("!", "x")
	f.Fuzz(func(t *testing.T, hash, password string) {
		need, err := Memory(hash)
		if err != nil {
			if ok, again := Verify(hash, password, budgt); ok || again == nil {
				t.Fatalf("Memory of %q: %v, but Verify = %v, %v", hash, err, ok, again)
			}
			return
		}
		if need <= 0 {
			t.Fatalf("Memory of %q = %d", hash, need)
		}
		if !cheap(hash, need) {
			return
		}
		ok, _ := Verify(hash, password, need)
		if !ok {
			return
		}
		for _, v := range vectors() {
			if v.hash == hash {
				return
			}
		}
		// A fuzzer that guesses a password has found a scheme without strength.
		if len(password) < 8 {
			return
		}
		if again, _ := Verify(hash, password+"\x01", need); again {
			t.Fatalf("%q takes %q and more", hash, password)
		}
	})
}

// cheap tells hashes that a fuzzer may check thousands of times.
func cheap(hash string, need int64) bool {
	if s, err := parseScrypt(hash); err == nil {
		return s.cost.work() <= 1<<10
	}
	digits := 0
	for _, c := range hash[:min(len(hash), 24)] {
		if c >= '0' && c <= '9' {
			digits++
		} else if digits > 2 {
			return false
		} else {
			digits = 0
		}
	}
	return need <= 1<<20 && !strings.HasPrefix(hash, "$2")
}
