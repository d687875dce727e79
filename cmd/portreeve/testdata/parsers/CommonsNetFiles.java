// Has Apache commons-net store, fetch, resume, describe and abort. Arguments: how
// to connect (clear, explicit, implicit), port, user, password, file to store.
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.apache.commons.net.ftp.FTP;
import org.apache.commons.net.ftp.FTPClient;
import org.apache.commons.net.ftp.FTPSClient;
import org.apache.commons.net.util.TrustManagerUtils;

public class CommonsNetFiles {
    static FTPClient client;

    static void must(String what, boolean ok) throws Exception {
        if (!ok) {
            throw new Exception(what + ": " + client.getReplyString());
        }
    }

    static byte[] fetch(String name) throws Exception {
        ByteArrayOutputStream got = new ByteArrayOutputStream();
        must("fetch", client.retrieveFile(name, got));
        return got.toByteArray();
    }

    public static void main(String[] args) throws Exception {
        byte[] sent = Files.readAllBytes(Path.of(args[4]));
        int half = sent.length / 2;
        if (args[0].equals("clear")) {
            client = new FTPClient();
        } else {
            FTPSClient secure = new FTPSClient(args[0].equals("implicit"));
            secure.setTrustManager(TrustManagerUtils.getAcceptAllTrustManager());
            client = secure;
        }
        client.setControlEncoding("UTF-8");
        client.connect("127.0.0.1", Integer.parseInt(args[1]));
        must("login", client.login(args[2], args[3]));
        if (client instanceof FTPSClient) {
            ((FTPSClient) client).execPBSZ(0);
            ((FTPSClient) client).execPROT("P");
        }
        client.setFileType(FTP.BINARY_FILE_TYPE);
        client.enterLocalPassiveMode();

        must("store", client.storeFile("jävä", new ByteArrayInputStream(sent)));
        must("the same", Arrays.equals(sent, fetch("jävä")));
        client.setRestartOffset(half);
        must("the rest", Arrays.equals(Arrays.copyOfRange(sent, half, sent.length), fetch("jävä")));
        must("append", client.appendFile("jävä", new ByteArrayInputStream(sent)));
        must("size", client.getSize("jävä").equals(String.valueOf(2 * sent.length)));
        must("set time", client.setModificationTime("jävä", "20200102030405"));
        must("time", client.getModificationTime("jävä").contains("20200102030405"));
        must("store under some name", client.storeUniqueFile("some", new ByteArrayInputStream(sent)));
        must("make a folder", client.makeDirectory("a \"folder\"") && client.changeWorkingDirectory("a \"folder\""));
        must("where", client.printWorkingDirectory().equals("/a \"folder\"") && client.changeToParentDirectory());
        must("remove a folder", client.removeDirectory("a \"folder\""));
        must("lists", client.listFiles().length == 2 && client.listNames().length == 2 && client.mlistDir().length >= 2);
        must("rename", client.rename("jävä", "java 2"));
        must("describe", client.mlistFile("java 2").getSize() == 2 * sent.length);

        InputStream in = client.retrieveFileStream("java 2");
        in.read(new byte[100]);
        client.abort();
        must("abort", client.getReplyCode() == 426 || client.getReplyCode() == 226);
        in.close();
        must("its end", client.completePendingCommand());

        client.enterLocalActiveMode();
        must("in active mode", fetch("java 2").length == 2 * sent.length);
        must("refuse", !client.retrieveFile("nothing", new ByteArrayOutputStream()) && client.getReplyCode() == 550);
        for (String name : client.listNames()) {
            must("delete", client.deleteFile(name));
        }
        must("log out", client.logout());
        client.disconnect();
        System.out.println("all done");
    }
}
