// Prints what Apache commons-net makes of a listing: kind, size, time in seconds
// and name of each entry. Arguments: port, user, password, folder, LIST or MLSD.
import java.io.PrintStream;
import org.apache.commons.net.ftp.FTPClient;
import org.apache.commons.net.ftp.FTPClientConfig;
import org.apache.commons.net.ftp.FTPFile;

public class CommonsNet {
    public static void main(String[] args) throws Exception {
        FTPClient client = new FTPClient();
        FTPClientConfig unix = new FTPClientConfig(FTPClientConfig.SYST_UNIX);
        unix.setServerTimeZoneId("UTC");
        client.configure(unix);
        client.setControlEncoding("UTF-8");
        client.connect("127.0.0.1", Integer.parseInt(args[0]));
        if (!client.login(args[1], args[2]) || !client.changeWorkingDirectory(args[3])) {
            throw new Exception(client.getReplyString());
        }
        client.enterLocalPassiveMode();
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        for (FTPFile f : args[4].equals("MLSD") ? client.mlistDir() : client.listFiles()) {
            if (f == null || !f.isValid()) {
                throw new Exception("a line was not understood");
            }
            if (f.getName().equals(".") || f.getName().equals("..")) {
                continue;
            }
            String kind = f.isDirectory() ? "d" : f.isSymbolicLink() ? "l" : f.isFile() ? "f" : "?";
            out.printf("%s\t%d\t%d\t%s%n", kind, f.getSize(), f.getTimestamp().getTimeInMillis() / 1000, f.getName());
        }
        client.logout();
        client.disconnect();
    }
}
